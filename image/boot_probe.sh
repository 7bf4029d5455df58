#!/bin/sh
# Runs inside the booted image (put there by boot_test.sh, never part of a release): prints facts, then powers off.
fact() { echo "FACT $1=$2"; }
property() { systemctl show -p "$1" --value "$2"; }

# A printer without hardware: the kernel's own USB printer gadget on its dummy host controller.
gadget=/sys/kernel/config/usb_gadget/printer
modprobe -a dummy_hcd libcomposite usb_f_printer
mkdir -p $gadget/strings/0x409 $gadget/configs/c.1 $gadget/functions/printer.0
echo 0x04b8 > $gadget/idVendor
echo 0x0e15 > $gadget/idProduct
echo EPSON > $gadget/strings/0x409/manufacturer
echo TM-T20II > $gadget/strings/0x409/product
ln -s $gadget/functions/printer.0 $gadget/configs/c.1/
basename /sys/class/udc/* > $gadget/UDC
sleep 2
udevadm settle --timeout=20

waited=0
while [ "$(systemctl is-system-running)" = starting ] && [ $waited -lt 90 ]; do
    sleep 3
    waited=$((waited + 3))
done
fact system "$(systemctl is-system-running)"
fact failed "$(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1 | paste -sd,)"
fact unit "$(property LoadState slipway),$(property UnitFileState slipway)"
fact active "$(property ActiveState slipway)"
fact restarts "$(property NRestarts slipway)"
fact user "$(ps -o user= -p "$(property MainPID slipway)" 2> /dev/null)"
fact listening "$(ss -Hltn | awk '{print $4}' | sort -u | paste -sd,)"
fact first_port "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)"
fact firewall "$(nft list chain inet slipway input | grep -c 'policy drop')"
fact password_login "$(sshd -T | awk '/^passwordauthentication/ {print $2}')"
fact host_keys "$(find /etc/ssh -name 'ssh_host_*_key' | wc -l)"
fact root_mb "$(df -m --output=size / | tail -1 | tr -d ' ')"
fact address "$(ip -4 -o addr show scope global | awk '{print $4}')"
fact printer "$(stat -L -c '%U:%G:%a' /dev/slipway-printer 2>&1)"
fact printer_unit "$(property ActiveState dev-slipway\\x2dprinter.device)"
for interface in $(grep -l '^07' /sys/bus/usb/devices/*/bInterfaceClass); do
    driver=$(readlink "${interface%/*}/driver")
    fact printer_driver "${driver:-free}"
done
# As the box does it: a call to slipway-print.socket starts the printer's program in its sandbox, which prints by libusb.
timeout 60 head -c 5 /dev/g_printer0 > /run/paper &
timeout 60 setpriv --reuid=slipway --regid=slipway --clear-groups /opt/slipway/bin/python /usr/local/lib/print | sed 's/^/PRINT /'
wait $!
fact printed "$(cat /run/paper)"
journalctl -q -u slipway-print -o cat --no-pager | sed 's/^/PRINT /'
fact usblp "$(modprobe usblp 2> /dev/null && echo loaded || echo refused)"
fact forbidden "$(dpkg-query -W -f '${Package},' cups ipp-usb 2> /dev/null)"
fact boot "$(systemd-analyze time | sed -n 's/.*= \(.*[^ ]\) *$/\1/p')"
journalctl -q -b -u slipway -o cat --no-pager -n 12 | sed 's/^/JOURNAL /'
echo "FACT end=1"
systemctl poweroff
