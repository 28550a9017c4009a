"""The sets of servers that Millrace can start by itself, and the processes it starts beside them."""
