"""Pictures of the values: arrays and tables go in, small SVGs come out. Plain Python; matplotlib is imported when drawing.

One module per stage of the graph. The assets show these pictures in the UI and the report page shows the same ones.
"""
