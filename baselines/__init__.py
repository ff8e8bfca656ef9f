"""The methods that metabench ships, each written against its public API only, as an outsider would."""
