"""Messages of the API, generated from proto/primatomic/v1/keyvalue.proto."""
