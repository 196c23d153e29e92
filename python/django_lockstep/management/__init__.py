"""What ``manage.py`` finds here: the command ``deadlock_test``."""
