mod bundle;
mod device_list;
mod pin;
mod vectors;
