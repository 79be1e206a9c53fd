# The array as an IP of Vivado's catalogue: eie::package writes the folder ip, and the project then knows it.

proc eie::package {} {
    variable part
    variable sources
    variable top
    variable vlnv
    variable interfaces
    lassign [split $vlnv :] vendor library name version
    file delete -force -- ip
    create_project -force package vivado_ip -part $part
    set_property target_language VHDL [current_project]
    add_files -norecurse $sources
    set_property top $top [current_fileset]
    update_compile_order -fileset sources_1
    ipx::package_project -root_dir ip -vendor $vendor -library $library -taxonomy /UserIP -import_files -force
    set core [ipx::current_core]
    set_property name $name $core
    set_property version $version $core
    set_property display_name "EIE array" $core
    set_property description "Efficient inference engine on compressed networks" $core
    foreach interface $interfaces {
        if {![llength [ipx::get_bus_interfaces -quiet $interface -of_objects $core]]} {
            error "the packager found no interface $interface in $top"
        }
        ipx::associate_bus_interfaces -busif $interface -clock aclk $core
    }
    ipx::associate_bus_interfaces -clock aclk -reset aresetn $core
    ipx::create_xgui_files $core
    ipx::update_checksums $core
    ipx::check_integrity -quiet $core
    ipx::save_core $core
    close_project
}

# The project's catalogue gets the IP.
proc eie::add_catalogue {} {
    variable vlnv
    set_property ip_repo_paths [file normalize ip] [current_project]
    update_ip_catalog -rebuild
    if {![llength [get_ipdefs -quiet -all $vlnv]]} {
        error "the catalogue has no $vlnv after packaging; see the messages of the packager above"
    }
}
