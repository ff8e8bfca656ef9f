"""Tables for other programs and papers: CSV, Markdown, LaTeX, and the catalogues of other projects.

Only forms; what is in the tables is computed in `scores`.
"""
