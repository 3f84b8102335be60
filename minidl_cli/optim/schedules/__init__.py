"""The schedules of the learning rate. A file's name is the schedule's name in YAML."""
