"""Where datasets lie and in which form: Minari files, the memory-mapped store, manifests and their digests.

Nothing here decides what is in a dataset: `making` rolls it out, `foreign` imports it.
"""
