# The cells that the overlays use, as their documents describe them: interfaces with the clock that each belongs to, pins,
# parameters with the values they take. The stub refuses every other name and value.
#
#   stub::define VLNV INTERFACES PINS PARAMETERS SPACES SEGMENTS
#
# INTERFACES  name {direction protocol clock pin}
# PINS        name direction: o drives, c is an output clock, i must be driven, x may be left open
# PARAMETERS  name pattern: a regular expression for the whole value
# SPACES      address space and the master interface that it is seen through; SEGMENTS name {base size}

set bool {0|1}
set mhz {\d+(\.\d+)?}

# AMD PG082, and boards/Pynq-Z2/base/base.tcl of github.com/Xilinx/PYNQ. The clock's properties are read, not set.
stub::define xilinx.com:ip:processing_system7:5.5 {
    DDR {master ddr {}} FIXED_IO {master fixed {}} M_AXI_GP0 {master axi M_AXI_GP0_ACLK}
    S_AXI_HP0 {slave axi S_AXI_HP0_ACLK}
} {FCLK_CLK0 c FCLK_CLK1 c FCLK_RESET0_N o M_AXI_GP0_ACLK i S_AXI_HP0_ACLK i IRQ_F2P i} [list \
    PCW_CRYSTAL_PERIPHERAL_FREQMHZ $mhz PCW_UIPARAM_DDR_PARTNO {[\w -]+} \
    PCW_UIPARAM_DDR_BUS_WIDTH {(16|32) Bit} PCW_FPGA0_PERIPHERAL_FREQMHZ $mhz PCW_FPGA_FCLK0_ENABLE $bool \
    PCW_FPGA1_PERIPHERAL_FREQMHZ $mhz PCW_FPGA_FCLK1_ENABLE $bool PCW_EN_CLK1_PORT $bool \
    PCW_EN_CLK0_PORT $bool PCW_EN_RST0_PORT $bool PCW_USE_M_AXI_GP0 $bool PCW_USE_S_AXI_HP0 $bool \
    PCW_S_AXI_HP0_DATA_WIDTH {32|64} PCW_USE_FABRIC_INTERRUPT $bool PCW_IRQ_F2P_INTR $bool \
] {Data M_AXI_GP0} {S_AXI_HP0/HP0_DDR_LOWOCM {0x00000000 0x40000000}}

# AMD PG201, UG1085 (address map), and kv260/base/base.tcl of github.com/Xilinx/Kria-PYNQ.
stub::define xilinx.com:ip:zynq_ultra_ps_e:3.4 {
    M_AXI_HPM0_FPD {master axi maxihpm0_fpd_aclk} S_AXI_HP0_FPD {slave axi saxihp0_fpd_aclk}
} {pl_clk0 c pl_clk1 c pl_resetn0 o maxihpm0_fpd_aclk i saxihp0_fpd_aclk i pl_ps_irq0 i} [list \
    PSU__PSS_REF_CLK__FREQMHZ $mhz PSU__CRL_APB__IOPLL_CTRL__FBDIV {\d+} PSU__FPGA_PL0_ENABLE $bool \
    PSU__CRL_APB__PL0_REF_CTRL__SRCSEL {IOPLL|RPLL|DPLL} PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $mhz \
    PSU__FPGA_PL1_ENABLE $bool PSU__CRL_APB__PL1_REF_CTRL__SRCSEL {IOPLL|RPLL|DPLL} \
    PSU__CRL_APB__PL1_REF_CTRL__FREQMHZ $mhz PSU__NUM_FABRIC_RESETS {[0-4]} PSU__USE__M_AXI_GP0 $bool PSU__USE__M_AXI_GP1 $bool PSU__USE__M_AXI_GP2 $bool \
    PSU__USE__S_AXI_GP2 $bool PSU__MAXIGP0__DATA_WIDTH {32|64|128} PSU__SAXIGP2__DATA_WIDTH {32|64|128} \
    PSU__USE__IRQ0 $bool \
] {Data M_AXI_HPM0_FPD} {
    SAXIGP2/HP0_DDR_LOW {0x00000000 0x80000000} SAXIGP2/HP0_LPS_OCM {0xFF000000 0x1000000}
    SAXIGP2/HP0_QSPI {0xC0000000 0x20000000}
}

# AMD PG021, "Field Descriptions" and "Port Descriptions". Streams are 8 bits or more, bursts a power of two up to 256.
set width {32|64|128|256|512|1024}
set burst {2|4|8|16|32|64|128|256}
stub::define xilinx.com:ip:axi_dma:7.1 {
    S_AXI_LITE {slave axi s_axi_lite_aclk} M_AXI_MM2S {master axi m_axi_mm2s_aclk}
    M_AXI_S2MM {master axi m_axi_s2mm_aclk} M_AXIS_MM2S {master axis m_axi_mm2s_aclk}
    S_AXIS_S2MM {slave axis m_axi_s2mm_aclk}
} {
    s_axi_lite_aclk i m_axi_mm2s_aclk i m_axi_s2mm_aclk i axi_resetn i mm2s_prmry_reset_out_n o
    s2mm_prmry_reset_out_n o mm2s_introut o s2mm_introut o
} [list c_include_sg $bool c_sg_length_width {[89]|1\d|2[0-6]} c_include_mm2s $bool c_include_s2mm $bool \
    c_include_mm2s_dre $bool c_include_s2mm_dre $bool c_m_axi_mm2s_data_width $width \
    c_m_axis_mm2s_tdata_width "8|16|$width" c_m_axi_s2mm_data_width $width c_mm2s_burst_size $burst \
    c_s2mm_burst_size $burst c_micro_dma $bool c_sg_include_stscntrl_strm $bool c_addr_width {3[2-9]|[45]\d|6[0-4]} \
] {Data_MM2S M_AXI_MM2S Data_S2MM M_AXI_S2MM} {S_AXI_LITE/Reg {0x0 0x10000}}

# AMD PG164.
stub::define xilinx.com:ip:proc_sys_reset:5.0 {} {
    slowest_sync_clk i ext_reset_in i aux_reset_in x mb_debug_sys_rst x dcm_locked x mb_reset o bus_struct_reset o
    peripheral_reset o interconnect_aresetn o peripheral_aresetn o
} {C_EXT_RST_WIDTH {\d+} C_NUM_PERP_ARESETN {\d+}}

# AMD PG247 and PG059: up to 16 ports on either side. Ports and further clocks are added by number, see stub::of_cell.
set ports {[1-9]|1[0-6]}
stub::define xilinx.com:ip:smartconnect:1.0 {} {aclk i aresetn i} [list NUM_SI $ports NUM_MI $ports NUM_CLKS {[1-9]|[12]\d|3[0-3]}]
stub::define xilinx.com:ip:axi_interconnect:2.1 {} {ACLK i ARESETN i} [list NUM_SI $ports NUM_MI $ports]

# AMD UG994 (xlconcat and the inline HDL that takes its place).
stub::define xilinx.com:ip:xlconcat:2.1 {} {dout o} {NUM_PORTS {\d+}}
stub::define xilinx.com:inline_hdl:ilconcat:1.0 {} {dout o} {NUM_PORTS {\d+}}

# AMD PG261 (System ILA): the slots look at interfaces that others connect.
stub::define xilinx.com:ip:system_ila:1.1 {
    SLOT_0_AXIS {monitor axis clk} SLOT_1_AXIS {monitor axis clk} SLOT_2_AXI {monitor axi clk}
} {clk i resetn i} {
    C_MON_TYPE {INTERFACE|NATIVE|MIX} C_DATA_DEPTH {1024|2048|4096|8192|16384|32768|65536|131072}
    C_NUM_MONITOR_SLOTS {[1-9]|1[0-6]} C_SLOT_0_INTF_TYPE {xilinx\.com:interface:(axis|aximm)_rtl:1\.0}
    C_SLOT_1_INTF_TYPE {xilinx\.com:interface:(axis|aximm)_rtl:1\.0}
    C_SLOT_2_INTF_TYPE {xilinx\.com:interface:(axis|aximm)_rtl:1\.0}
}

# The implementation strategies that are used (AMD UG904, "Implementation Strategy Descriptions").
set stub::strategies {
    Performance_Explore Performance_ExplorePostRoutePhysOpt Performance_ExtraTimingOpt Performance_NetDelay_high
    Congestion_SpreadLogic_high Congestion_SpreadLogic_medium {Vivado Implementation Defaults}
}
