"""AWS on this machine: S3 by SeaweedFS, and a Rekognition Custom Labels dataset service of our own.

Start both with ``python -m include.local_aws``. ``docs/local-aws.md`` says what is imitated, what is not, and
that the imitation rests on AWS's documentation: nobody has compared it with the live service.

This package imports nothing of the project and nothing of the project imports it; it stands for another machine.
"""
