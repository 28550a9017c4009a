"""From outcomes to what people read: figures with intervals, slices, a table, a page."""
