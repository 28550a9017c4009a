"""The scoring client: one Protocol, the Triton adapter and an in-process one."""
