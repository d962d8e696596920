"""Dashboards of deploy/grafana as data, and the way from data to Grafana's JSON."""
