"""What is kept beside the database to answer at once; rebuilt from it whenever it is lost."""
