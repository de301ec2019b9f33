"""What happens without anyone pressing a button, and the jobs a person starts as a whole."""
