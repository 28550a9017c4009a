"""Online item statistics: what follows what, and what is popular."""

from millrace.streams.statistics.item_statistics import ItemStatistics
from millrace.streams.statistics.tail import decode_tail, encode_tail, trim

__all__ = ["ItemStatistics", "decode_tail", "encode_tail", "trim"]
