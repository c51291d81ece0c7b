"""Settings of several stages in one."""
