"""From the log to tensors: event columns, encoder windows and ranker samples."""
