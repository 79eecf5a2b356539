"""theta -> (loss, ROUGE-L): train one candidate and read it at its best point."""
