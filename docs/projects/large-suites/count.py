# count.py
import collections
import json


def count(path):
    with open(path) as lines:
        findings = [json.loads(line) for line in lines]
    return collections.Counter((each["rule"], each["path"]) for each in findings).most_common()
