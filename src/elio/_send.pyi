"""Gives ``Receive`` the type slot ``am_send``, through which a task gets a message without an exception around it."""
