"""What each verb does once its words are understood.

`afdcd/VERB.py` holds the words alone and imports this on need, so that `--help` and a mistake in
what was typed are answered at once, before torch and Ray are imported.
"""
