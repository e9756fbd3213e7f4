"""Labels that describe areas, drawn: one file for each form that has them."""
