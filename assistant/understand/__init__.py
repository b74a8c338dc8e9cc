"""Text to Plan: templates over the skills' sentences, entity resolution, dialogue, policy."""
