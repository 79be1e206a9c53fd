# A stand-in for Vivado, run by tclsh: it knows the cells of an overlay's block design with their interfaces, pins and
# parameters (as write_bd_tcl of real designs shows them), refuses what Vivado would refuse, and records every call.
#
#   tclsh vivado_stub.tcl -mode batch ... -source SCRIPT
#
# Environment: STUB_VERSION, STUB_WNS, STUB_WHS, STUB_TPWS (what the runs report), STUB_FAILED_RUN (name of a run that
# fails), STUB_HIDDEN (VLNV that the catalog lacks), STUB_RECORD (file that receives the calls, one a line, words
# separated by tabs).

namespace eval stub {
    variable catalog {}
    variable cells {}
    variable parameters {}
    variable ports {}
    variable interface_peers {}
    variable pin_drivers {}
    variable mappings {}
    variable excluded {}
    variable files {}
    variable design {}
    variable launched {}
}

proc stub::define {vlnv interfaces pins parameters {spaces {}} {segments {}}} {
    dict set stub::catalog $vlnv [dict create interfaces $interfaces pins $pins parameters $parameters \
        spaces $spaces segments $segments]
}

# name {direction protocol}; name direction (o drives, i must be driven, x may be left open)
stub::define xilinx.com:ip:processing_system7:5.5 {
    DDR {master ddr} FIXED_IO {master fixed} M_AXI_GP0 {master axi} S_AXI_HP0 {slave axi}
} {FCLK_CLK0 o FCLK_RESET0_N o M_AXI_GP0_ACLK i S_AXI_HP0_ACLK i IRQ_F2P i} {
    PCW_CRYSTAL_PERIPHERAL_FREQMHZ PCW_UIPARAM_DDR_PARTNO PCW_UIPARAM_DDR_BUS_WIDTH PCW_FPGA0_PERIPHERAL_FREQMHZ
    PCW_FPGA_FCLK0_ENABLE PCW_EN_CLK0_PORT PCW_EN_RST0_PORT PCW_USE_M_AXI_GP0 PCW_USE_S_AXI_HP0
    PCW_S_AXI_HP0_DATA_WIDTH PCW_USE_FABRIC_INTERRUPT PCW_IRQ_F2P_INTR
} {Data M_AXI_GP0} {S_AXI_HP0/HP0_DDR_LOWOCM 0x40000000}
stub::define xilinx.com:ip:zynq_ultra_ps_e:3.4 {
    M_AXI_HPM0_FPD {master axi} S_AXI_HP0_FPD {slave axi}
} {pl_clk0 o pl_resetn0 o maxihpm0_fpd_aclk i saxihp0_fpd_aclk i pl_ps_irq0 i} {
    PSU__FPGA_PL0_ENABLE PSU__CRL_APB__PL0_REF_CTRL__SRCSEL PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ
    PSU__NUM_FABRIC_RESETS PSU__USE__M_AXI_GP0 PSU__USE__M_AXI_GP1 PSU__USE__M_AXI_GP2 PSU__USE__S_AXI_GP2
    PSU__MAXIGP0__DATA_WIDTH PSU__SAXIGP2__DATA_WIDTH PSU__USE__IRQ0
} {Data M_AXI_HPM0_FPD} {SAXIGP2/HP0_DDR_LOW 0x80000000 SAXIGP2/HP0_LPS_OCM 0x1000000 SAXIGP2/HP0_QSPI 0x20000000}
stub::define xilinx.com:ip:axi_dma:7.1 {
    S_AXI_LITE {slave axi} M_AXI_MM2S {master axi} M_AXI_S2MM {master axi} M_AXIS_MM2S {master axis}
    S_AXIS_S2MM {slave axis}
} {
    s_axi_lite_aclk i m_axi_mm2s_aclk i m_axi_s2mm_aclk i axi_resetn i mm2s_prmry_reset_out_n o
    s2mm_prmry_reset_out_n o mm2s_introut o s2mm_introut o
} {
    c_include_sg c_sg_length_width c_include_mm2s c_include_s2mm c_include_mm2s_dre c_include_s2mm_dre
    c_m_axi_mm2s_data_width c_m_axis_mm2s_tdata_width c_m_axi_s2mm_data_width c_mm2s_burst_size c_s2mm_burst_size
} {Data_MM2S M_AXI_MM2S Data_S2MM M_AXI_S2MM} {S_AXI_LITE/Reg 0x10000}
stub::define xilinx.com:ip:proc_sys_reset:5.0 {} {
    slowest_sync_clk i ext_reset_in i aux_reset_in x mb_debug_sys_rst x dcm_locked x mb_reset o bus_struct_reset o
    peripheral_reset o interconnect_aresetn o peripheral_aresetn o
} {}
stub::define xilinx.com:ip:smartconnect:1.0 {} {aclk i aresetn i} {NUM_SI NUM_MI NUM_CLKS}
stub::define xilinx.com:ip:axi_interconnect:2.1 {} {ACLK i ARESETN i} {NUM_SI NUM_MI}
stub::define xilinx.com:ip:xlconcat:2.1 {} {dout o} {NUM_PORTS}
stub::define xilinx.com:inline_hdl:ilconcat:1.0 {} {dout o} {NUM_PORTS}

proc stub::environment {name default} {
    return [expr {[info exists ::env(STUB_$name)] ? $::env(STUB_$name) : $default}]
}

proc stub::record {args} {
    set file [open [stub::environment RECORD /dev/null] a]
    puts $file [join $args \t]
    close $file
}

# {flags and options of a call as dict} {other arguments}
proc stub::parse {arguments flags} {
    set options {}
    set rest {}
    for {set i 0} {$i < [llength $arguments]} {incr i} {
        set word [lindex $arguments $i]
        if {![regexp {^-[a-z]} $word]} {
            lappend rest $word
        } elseif {$word in $flags} {
            dict set options $word 1
        } else {
            dict set options $word [lindex $arguments [incr i]]
        }
    }
    return [list $options $rest]
}

proc stub::catalog_entry {pattern} {
    set found {}
    dict for {vlnv entry} $stub::catalog {
        if {([string match $pattern $vlnv] || [string match $pattern:* $vlnv]) && $vlnv ne [stub::environment HIDDEN -]} {
            lappend found $vlnv
        }
    }
    return $found
}

# What a cell has, with the ports that its parameters give it.
proc stub::of_cell {cell what} {
    set entry [dict get $stub::cells $cell]
    set found [dict get $entry $what]
    set vlnv [dict get $entry vlnv]
    set count [dict create NUM_SI 1 NUM_MI 1 NUM_PORTS 2]
    set count [dict merge $count [dict get $stub::parameters $cell]]
    if {[regexp {smartconnect|axi_interconnect} $vlnv]} {
        foreach {parameter letter mode} {NUM_SI S slave NUM_MI M master} {
            for {set i 0} {$i < [dict get $count $parameter]} {incr i} {
                set port [format %s%02d $letter $i]
                if {$what eq "interfaces"} {dict set found ${port}_AXI [list $mode axi]}
                if {$what eq "pins" && [string match *axi_interconnect* $vlnv]} {
                    dict set found ${port}_ACLK i
                    dict set found ${port}_ARESETN i
                }
            }
        }
    }
    if {[string match *concat* $vlnv] && $what eq "pins"} {
        for {set i 0} {$i < [dict get $count NUM_PORTS]} {incr i} {dict set found In$i i}
    }
    return $found
}

# Interfaces and pins of an entity, by the names of its ports as Vivado infers them.
proc stub::entity {name} {
    foreach source $stub::files {
        set file [open $source]
        set text [read $file]
        close $file
        if {![regexp "entity $name is\\s+port \\((.*?)\n *\\);" $text -> declarations]} continue
        set interfaces {}
        set pins {}
        set segments {}
        foreach {- port direction} [regexp -all -inline {(\w+): (in|out) } $declarations] {
            if {[regexp {^(\w+)_tdata$} $port -> prefix]} {
                dict set interfaces $prefix [list [expr {$direction eq "in" ? "slave" : "master"}] axis]
            } elseif {[regexp {^(\w+)_awaddr$} $port -> prefix]} {
                dict set interfaces $prefix {slave axi}
                dict set segments $prefix/reg0 0x10000
            } elseif {![regexp {_(t|aw|w|b|ar|r)[a-z]+$} $port]} {
                dict set pins $port [expr {$direction eq "in" ? "i" : "o"}]
            }
        }
        if {![regexp {x_interface_parameter of aclk: signal is "[^"]*ASSOCIATED_BUSIF ([\w:]+), ASSOCIATED_RESET aresetn"} $text -> clocked]} {
            set clocked {}
        }
        foreach interface [dict keys $interfaces] {
            if {$interface ni [split $clocked :]} {error "\[BD 41-967\] $name/$interface is not associated to a clock"}
        }
        return [dict create vlnv xilinx.com:module_ref:$name:1.0 interfaces $interfaces pins $pins parameters {} \
            spaces {} segments $segments]
    }
    error "\[filemgmt 56-195\] no file of the project has an entity $name"
}

proc stub::find {what names} {
    set found {}
    foreach name $names {
        set cell [lindex [split $name /] 0]
        if {![dict exists $stub::cells $cell]} continue
        set inner [join [lrange [split $name /] 1 end] /]
        if {[dict exists [stub::of_cell $cell $what] $inner]} {lappend found $name}
    }
    return $found
}

proc stub::interface_kind {name} {
    if {[dict exists $stub::ports $name]} {return [list slave [dict get $stub::ports $name]]}
    lassign [split $name /] cell interface
    return [dict get [stub::of_cell $cell interfaces] $interface]
}

# Slave interfaces that a master reaches, through interconnects.
proc stub::reached {master} {
    if {![dict exists $stub::interface_peers $master]} {return {}}
    set slave [dict get $stub::interface_peers $master]
    set cell [lindex [split $slave /] 0]
    if {![regexp {smartconnect|axi_interconnect} [dict get [dict get $stub::cells $cell] vlnv]]} {return [list $slave]}
    set found {}
    dict for {interface kind} [stub::of_cell $cell interfaces] {
        if {[lindex $kind 0] eq "master"} {lappend found {*}[stub::reached $cell/$interface]}
    }
    return $found
}

# --- Vivado's commands ---

proc version {args} {return [stub::environment VERSION 2022.1]}
proc current_project {} {return eie}
proc current_fileset {} {return sources_1}
proc update_compile_order {args} {}
proc save_bd_design {} {}
proc get_runs {name} {return $name}

proc create_project {args} {
    lassign [stub::parse $args -force] options rest
    stub::record create_project [dict get $options -part]
    file mkdir [lindex $rest 1]
}

proc add_files {args} {
    lassign [stub::parse $args -norecurse] - rest
    foreach name [lindex $rest 0] {
        if {![file isfile $name]} {error "\[Vivado 12-172\] File or Directory '$name' does not exist"}
        lappend stub::files $name
        stub::record add_files $name
    }
}

proc create_bd_design {name} {
    set stub::design $name
    stub::record create_bd_design $name
}

proc get_ipdefs {args} {
    lassign [stub::parse $args {-quiet -all}] - rest
    return [stub::catalog_entry [lindex $rest 0]]
}

proc create_bd_cell {args} {
    lassign [stub::parse $args {}] options rest
    set name [lindex $rest 0]
    if {[dict exists $stub::cells $name]} {error "a cell $name exists already"}
    if {[dict get $options -type] eq "module"} {
        set entry [stub::entity [dict get $options -reference]]
    } else {
        set vlnv [stub::catalog_entry [dict get $options -vlnv]]
        if {[llength $vlnv] != 1} {error "\[BD 41-1712\] the catalog has no one [dict get $options -vlnv]"}
        if {([dict get $options -type] eq "ip") == [string match *:inline_hdl:* $vlnv]} {error "wrong type for $vlnv"}
        set entry [dict create vlnv [lindex $vlnv 0] {*}[dict get $stub::catalog [lindex $vlnv 0]]]
    }
    dict set stub::cells $name $entry
    dict set stub::parameters $name {}
    stub::record create_bd_cell $name [dict get $entry vlnv]
    return $name
}

proc set_property {args} {
    lassign [stub::parse $args {}] options rest
    if {![dict exists $options -dict]} {
        stub::record set_property {*}$rest
        return
    }
    set cell [lindex $rest 0]
    foreach {key value} [dict get $options -dict] {
        set name [string range $key 7 end]
        if {![string match CONFIG.* $key] || $name ni [dict get [dict get $stub::cells $cell] parameters]} {
            error "\[Common 17-54\] $cell has no property $key"
        }
        dict set stub::parameters $cell $name $value
        stub::record parameter $cell $name $value
    }
}

proc get_bd_cells {args} {
    lassign [stub::parse $args -quiet] - rest
    return [lmap name $rest {expr {[dict exists $stub::cells $name] ? $name : [continue]}}]
}

proc get_bd_intf_pins {args} {return [stub::find interfaces [lindex [stub::parse $args -quiet] 1]]}
proc get_bd_pins {args} {return [stub::find pins [lindex [stub::parse $args -quiet] 1]]}
proc get_bd_addr_spaces {args} {return [stub::find spaces [lindex [stub::parse $args -quiet] 1]]}
proc get_bd_addr_segs {args} {return [stub::find segments [lindex [stub::parse $args -quiet] 1]]}

proc create_bd_intf_port {args} {
    lassign [stub::parse $args {}] options rest
    set protocols {xilinx.com:interface:ddrx_rtl:1.0 ddr xilinx.com:display_processing_system7:fixedio_rtl:1.0 fixed}
    dict set stub::ports [lindex $rest 0] [dict get $protocols [dict get $options -vlnv]]
    return [lindex $rest 0]
}

proc connect_bd_intf_net {a b} {
    lassign [stub::interface_kind $a] mode_a protocol_a
    lassign [stub::interface_kind $b] mode_b protocol_b
    if {$mode_a eq $mode_b} {error "\[BD 41-171\] $a and $b are both $mode_a"}
    if {$protocol_a ne $protocol_b} {error "\[BD 41-171\] $a is $protocol_a, $b is $protocol_b"}
    foreach {one other} [list $a $b $b $a] {
        if {[dict exists $stub::interface_peers $one]} {error "\[BD 41-171\] $one is connected already"}
        dict set stub::interface_peers $one $other
    }
    stub::record connect_bd_intf_net $a $b
}

proc connect_bd_net {driver pin} {
    foreach {name wanted} [list $driver o $pin i] {
        lassign [split $name /] cell inner
        if {($wanted eq "o") != ([dict get [stub::of_cell $cell pins] $inner] eq "o")} {
            error "\[BD 41-172\] $name has the wrong direction"
        }
    }
    if {[dict exists $stub::pin_drivers $pin]} {error "\[BD 41-172\] $pin is driven already"}
    dict set stub::pin_drivers $pin $driver
    stub::record connect_bd_net $driver $pin
}

proc assign_bd_address {args} {
    lassign [stub::parse $args -force] options rest
    set segment [lindex $rest 0]
    set space [dict get $options -target_address_space]
    set base [dict get $options -offset]
    set size [dict get $options -range]
    lassign [split $segment /] cell interface inner
    set available [dict get [stub::of_cell $cell segments] $interface/$inner]
    if {$size > $available} {error "\[BD 41-1075\] $segment has $available bytes, not $size"}
    if {$base % $size} {error "\[BD 41-1075\] $base is not aligned to $size"}
    foreach {other_space - other_base other_size} $stub::mappings {
        if {$other_space eq $space && $base < $other_base + $other_size && $other_base < $base + $size} {
            error "\[BD 41-1075\] $segment at $base overlaps another segment of $space"
        }
    }
    lappend stub::mappings $space $segment $base $size
    stub::record assign_bd_address $space $segment $base $size
}

proc exclude_bd_addr_seg {args} {
    lassign [stub::parse $args {}] options rest
    lappend stub::excluded "[dict get $options -target_address_space] [lindex $rest 0]"
}

# What Vivado would complain of: open interfaces and pins, masters and slaves without addresses.
proc validate_bd_design {} {
    dict for {cell entry} $stub::cells {
        dict for {interface kind} [stub::of_cell $cell interfaces] {
            if {![dict exists $stub::interface_peers $cell/$interface]} {error "\[BD 41-758\] $cell/$interface is open"}
        }
        dict for {pin direction} [stub::of_cell $cell pins] {
            if {$direction eq "i" && ![dict exists $stub::pin_drivers $cell/$pin]} {
                error "\[BD 41-758\] $cell/$pin is not driven"
            }
        }
        dict for {space master} [dict get $entry spaces] {
            stub::validate_space $cell/$space $cell/$master
        }
    }
    stub::record validate_bd_design
}

proc stub::validate_space {space master} {
    set reached [stub::reached $master]
    set expected {}
    foreach slave $reached {
        set cell [lindex [split $slave /] 0]
        dict for {segment -} [stub::of_cell $cell segments] {
            # The memory port of UltraScale+ has one name as an interface and another in its segments.
            set behind [string map {SAXIGP2 S_AXI_HP0_FPD} [lindex [split $segment /] 0]]
            if {"$cell/$behind" eq $slave} {lappend expected $cell/$segment}
        }
    }
    set mapped {}
    foreach {its_space segment - -} $stub::mappings {
        if {$its_space eq $space} {lappend mapped $segment}
    }
    foreach segment $mapped {
        if {$segment ni $expected} {error "\[BD 41-1075\] $space does not reach $segment"}
    }
    foreach segment $expected {
        if {$segment ni $mapped && "$space $segment" ni $stub::excluded} {
            error "\[BD 41-1356\] $segment is not mapped into $space"
        }
    }
}

proc get_files {name} {
    if {$name ne "$stub::design.bd"} {error "no file $name"}
    return $name
}

proc generate_target {what diagram} {
    set folder [file join vivado eie.gen sources_1 bd $stub::design hw_handoff]
    file mkdir $folder
    set file [open [file join $folder $stub::design.hwh] w]
    puts $file "<EDKSYSTEM><SYSTEMINFO NAME=\"$stub::design\"/></EDKSYSTEM>"
    close $file
}

proc make_wrapper {args} {stub::record make_wrapper}

proc launch_runs {name args} {
    lassign [stub::parse $args {}] options
    lappend stub::launched $name
    stub::record launch_runs $name
    set folder [get_property DIRECTORY $name]
    file mkdir $folder
    if {[dict exists $options -to_step] && $name ne [stub::environment FAILED_RUN -]} {
        set file [open [file join $folder ${stub::design}_wrapper.bit] w]
        puts $file "${stub::design}_wrapper"
        close $file
    }
}

proc wait_on_run {name} {
    if {$name ni $stub::launched} {error "$name was not launched"}
}

proc open_run {name} {stub::record open_run $name}

proc get_property {property object} {
    switch -glob $property {
        DIRECTORY {return [file join vivado eie.runs $object]}
        PROGRESS {return [expr {$object eq [stub::environment FAILED_RUN -] ? "42%" : "100%"}]}
        STATUS {return [expr {$object eq [stub::environment FAILED_RUN -] ? "place_design ERROR" : "complete"}]}
        STATS.WNS {return [stub::environment WNS 0.123]}
        STATS.WHS {return [stub::environment WHS 0.045]}
        STATS.TPWS {return [stub::environment TPWS 0.000]}
        default {error "no property $property of $object"}
    }
}

proc stub::write_file {name} {
    stub::record write_file $name
    close [open $name w]
}

foreach command {report_utilization report_timing_summary report_drc} {
    proc $command {args} {stub::write_file [dict get [lindex [stub::parse $args -hierarchical] 0] -file]}
}

proc write_hw_platform {args} {
    lassign [stub::parse $args {-fixed -include_bit -force}] options
    if {![dict exists $options -include_bit]} {error "write_hw_platform without -include_bit"}
    stub::write_file [dict get $options -file]
}

set source_index [lsearch -exact $argv -source]
source [lindex $argv [expr {$source_index + 1}]]
exit 0
