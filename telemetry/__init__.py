"""What happened: the event log. It refers to other things by plain ids."""
