"""The newcomer's first run: local AWS, Airflow, a folder of images and one import."""
