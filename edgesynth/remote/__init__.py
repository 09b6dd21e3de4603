"""Reaching boards: transports (SSH, this machine), conversations, and what is sent and fetched."""
