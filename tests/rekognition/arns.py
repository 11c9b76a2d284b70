"""Resource names that the tests share."""

PROJECT = "example-project"
PROJECT_ARN = "arn:aws:rekognition:eu-west-1:111122223333:project/example-project/1690474772815"
DATASET_ARN = "arn:aws:rekognition:eu-west-1:111122223333:project/example-project/dataset/train/1690476084535"
OTHER_DATASET_ARN = "arn:aws:rekognition:eu-west-1:111122223333:project/example-other/dataset/test/1690476084536"
