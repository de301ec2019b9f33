"""What happens without anyone pressing a button, and the jobs a person starts as a whole."""

import warnings

# What is built on that Dagster still marks as beta; each is tried with the locked version.
warnings.filterwarnings("ignore", message="Parameter `use_user_code_server`")
