mod guards;
mod table;
