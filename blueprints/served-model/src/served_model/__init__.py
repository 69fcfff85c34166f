"""A model behind HTTP, who asks it, and a judge behind HTTP, who grades what was answered."""
