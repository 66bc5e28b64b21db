"""Notifications on their way: the outbox, signed webhooks, and Apprise in a process of its own."""
