"""Benchmarks of the S3 data plane against what one writes with Airflow's S3Hook. See docs/performance.md."""
