"""The generated demo set."""
