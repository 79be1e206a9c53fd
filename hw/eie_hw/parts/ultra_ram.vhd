-- UltraRAM: one write port, one read port whose output is registered, of one clock; zero at power-on by itself.
-- It takes no initial contents (AMD UG901), so none are given, and a simulator finds it unknown before it is written.
-- A word that is written and read in one cycle reads as undefined: no unit relies on it.
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity ultra_ram is
    generic (
        DEPTH : positive;
        ADDRESS_BITS : positive;
        WIDTH : positive
    );
    port (
        clk : in std_logic;
        write : in std_logic;
        write_address : in unsigned(ADDRESS_BITS - 1 downto 0);
        write_data : in unsigned(WIDTH - 1 downto 0);
        read_address : in unsigned(ADDRESS_BITS - 1 downto 0);
        read_data : out unsigned(WIDTH - 1 downto 0)
    );
end entity;

architecture rtl of ultra_ram is
    type memory_type is array (0 to DEPTH - 1) of unsigned(WIDTH - 1 downto 0);
    signal memory : memory_type;
    attribute ram_style : string;
    attribute ram_style of memory : signal is "ultra";
begin
    process (clk)
    begin
        if rising_edge(clk) then
            if write = '1' then
                memory(to_integer(write_address)) <= write_data;
            end if;
            read_data <= memory(to_integer(read_address));
        end if;
    end process;
end architecture;
