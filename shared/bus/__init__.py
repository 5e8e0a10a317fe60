"""The only place that imports kombu or pika: topology, publishing, consuming, and the runner of stages."""
