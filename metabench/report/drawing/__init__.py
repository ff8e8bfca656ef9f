"""HTML elements, and plots and scenes as SVG that needs no script.

It draws the numbers that it is given and knows no run: records, policies and the page's sections stay outside.
"""
