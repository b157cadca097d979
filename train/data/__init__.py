"""Where photos come from: folders and data sets, decoded photos, crops of them."""
