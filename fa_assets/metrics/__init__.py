"""Arrays in, numbers out: ranking metrics, comparison, audit."""
