"""The intake: a folder in the Kaggle layout, its tables and its clips, refused by name where they are bad."""
