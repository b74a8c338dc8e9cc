"""A voice turn from wake word to reply: states, barge-in, follow-up, trace."""
