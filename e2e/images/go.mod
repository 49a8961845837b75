module portcullis.dev/e2e/images

go 1.25
