# What Vivado does with an overlay, from sources to files. The script that build_overlay.py writes sets the namespace
# variables below, defines eie::build_block_design, and ends with a call of eie::run.
#
#   overlay         name of the files that come out
#   part            chip to build for
#   vivado          oldest Vivado release that will do, as {year number}
#   design          name of the block design
#   sources         VHDL files in the order of compilation, relative to the script
#   description     JSON text of what is built, an object without its closing brace
#   jobs            processes that Vivado may start

proc eie::run {} {
    variable overlay
    if {[catch {eie::build} message]} {
        eie::remove_partial
        puts stderr "ERROR: $overlay: $message"
        exit 1
    }
}

proc eie::build {} {
    variable overlay
    variable design
    set version [eie::check_version [version -short]]
    eie::check_sources
    # What lies here after a failure must not be taken for its result.
    file delete -force -- $overlay.bit $overlay.hwh $overlay.json reports
    eie::remove_partial
    eie::make_project
    eie::implement
    eie::report
    set slacks [eie::check_timing]
    write_hw_platform -fixed -include_bit -force -file [file join vivado $overlay.xsa]
    set run [get_property DIRECTORY [get_runs impl_1]]
    set handoff [file join vivado eie.gen sources_1 bd $design hw_handoff]
    eie::publish [file join $run ${design}_wrapper.bit] [file join $handoff $design.hwh] $version $slacks
}

# Returns the version, after comparing it with the one the script is written for.
proc eie::check_version {version} {
    variable vivado
    lassign $vivado year number
    if {![regexp {(\d{4})\.(\d+)} $version -> this_year this_number]} {
        error "cannot tell the version of Vivado from '$version'; it must be $year.$number or newer"
    }
    set this [expr {$this_year * 100 + $this_number}]
    set wanted [expr {$year * 100 + $number}]
    if {$this < $wanted} {
        error "this is Vivado $version; it must be $year.$number or newer"
    }
    if {$this > $wanted} {
        puts "WARNING: this is Vivado $version; the script is written for $year.$number"
    }
    return $version
}

proc eie::check_sources {} {
    variable sources
    foreach source $sources {
        if {![file isfile $source]} {
            error "source file $source is missing; copy the whole directory, or run build_overlay.py again"
        }
    }
}

proc eie::make_project {} {
    variable part
    variable design
    variable sources
    create_project -force eie vivado -part $part
    set_property target_language VHDL [current_project]
    add_files -norecurse $sources
    update_compile_order -fileset sources_1
    create_bd_design $design
    eie::build_block_design
    validate_bd_design
    save_bd_design
    set diagram [get_files $design.bd]
    generate_target all $diagram
    make_wrapper -files $diagram -top -import
    set_property top ${design}_wrapper [current_fileset]
    update_compile_order -fileset sources_1
}

# The one object that a query finds; Vivado itself only warns of none.
proc eie::one {query name} {
    set found [$query -quiet $name]
    if {[llength $found] != 1} {
        error "$query $name finds [llength $found] objects, must be 1"
    }
    return $found
}

proc eie::ip {name vlnv parameters} {
    create_bd_cell -type ip -vlnv $vlnv $name
    eie::configure $name $parameters
}

# The entity becomes a cell; its interfaces are inferred from the names of its ports, their clock from its attributes.
proc eie::module {name entity parameters} {
    create_bd_cell -type module -reference $entity $name
    eie::configure $name $parameters
}

# Newer releases have an inline block in place of the IP.
proc eie::concatenation {name parameters} {
    if {[llength [get_ipdefs -quiet -all xilinx.com:ip:xlconcat:*]]} {
        create_bd_cell -type ip -vlnv xilinx.com:ip:xlconcat $name
    } else {
        create_bd_cell -type inline_hdl -vlnv xilinx.com:inline_hdl:ilconcat $name
    }
    eie::configure $name $parameters
}

proc eie::configure {name parameters} {
    set properties {}
    dict for {key value} $parameters {
        lappend properties CONFIG.$key $value
    }
    if {[llength $properties]} {
        set_property -dict $properties [eie::one get_bd_cells $name]
    }
}

proc eie::external {pin vlnv} {
    set port [create_bd_intf_port -mode Master -vlnv $vlnv [file tail $pin]]
    connect_bd_intf_net $port [eie::one get_bd_intf_pins $pin]
}

proc eie::interface {master slave} {
    connect_bd_intf_net [eie::one get_bd_intf_pins $master] [eie::one get_bd_intf_pins $slave]
}

proc eie::net {driver driven} {
    foreach pin $driven {
        connect_bd_net [eie::one get_bd_pins $driver] [eie::one get_bd_pins $pin]
    }
}

proc eie::map {space segment base size} {
    assign_bd_address -offset $base -range $size -force \
        -target_address_space [eie::one get_bd_addr_spaces $space] [eie::one get_bd_addr_segs $segment]
}

# Not every release and part has each of these segments.
proc eie::hide {space segment} {
    set found [get_bd_addr_segs -quiet $segment]
    if {[llength $found]} {
        exclude_bd_addr_seg -target_address_space [eie::one get_bd_addr_spaces $space] $found
    }
}

proc eie::implement {} {
    variable jobs
    set_property strategy Performance_Explore [get_runs impl_1]
    launch_runs synth_1 -jobs $jobs
    eie::await synth_1
    launch_runs impl_1 -to_step write_bitstream -jobs $jobs
    eie::await impl_1
}

proc eie::await {name} {
    wait_on_run $name
    set run [get_runs $name]
    if {[get_property PROGRESS $run] ne "100%"} {
        error "$name failed: [get_property STATUS $run]; see [file join [get_property DIRECTORY $run] runme.log]"
    }
}

proc eie::report {} {
    file mkdir reports
    open_run impl_1
    report_utilization -file [file join reports utilization.rpt]
    report_utilization -hierarchical -file [file join reports utilization_by_unit.rpt]
    report_timing_summary -file [file join reports timing.rpt]
    report_drc -file [file join reports drc.rpt]
}

# Returns {setup slack, hold slack} in ns. A slack that cannot be read is a failure: then nothing was timed.
proc eie::check_timing {} {
    set run [get_runs impl_1]
    set failures {}
    foreach {property name} {WNS setup WHS hold TPWS "pulse width"} {
        set slack($property) [get_property STATS.$property $run]
        if {![string is double -strict $slack($property)]} {
            lappend failures "no $name slack ($property) is known"
        } elseif {$slack($property) < 0} {
            lappend failures "$name slack ($property) is $slack($property) ns"
        }
    }
    if {[llength $failures]} {
        error "timing is not met: [join $failures {, }]; see reports/timing.rpt"
    }
    puts "timing is met: setup slack $slack(WNS) ns, hold slack $slack(WHS) ns"
    return [list $slack(WNS) $slack(WHS)]
}

# Puts the files in place under their names, .bit last: where it is, the others are, and of the same build.
proc eie::publish {bitstream handoff version slacks} {
    variable overlay
    variable description
    lassign $slacks setup hold
    file copy -force -- $bitstream $overlay.bit.partial
    file copy -force -- $handoff $overlay.hwh.partial
    set file [open $overlay.json.partial w]
    fconfigure $file -encoding utf-8
    puts $file "$description,"
    puts $file "  \"vivado\": \"$version\","
    puts $file "  \"setup_slack_ns\": $setup,"
    puts $file "  \"hold_slack_ns\": $hold"
    puts $file "\}"
    close $file
    foreach ending {json hwh bit} {
        file rename -force -- $overlay.$ending.partial $overlay.$ending
    }
    puts "built $overlay.bit, $overlay.hwh, $overlay.json; reports in reports/"
}

proc eie::remove_partial {} {
    variable overlay
    foreach ending {json hwh bit} {
        file delete -force -- $overlay.$ending.partial
    }
}
