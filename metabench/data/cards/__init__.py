"""What people read about data: the cards of suites with their pictures, and the catalogue that `data list` shows.

Nothing here makes or stores data.
"""
