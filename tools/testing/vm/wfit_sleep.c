// SPDX-License-Identifier: GPL-2.0
/*
 * wfit_sleep: time udelay() on an idle CPU, in a task and in a timer interrupt
 *
 * A module for a KVM guest inside the test VM. The kernel's udelay() begins with WFIT. QEMU 10.0.2 reports a trapped
 * WFIT as a WFI, so KVM waits for an interrupt. In a task the next tick ends the wait: udelay(20) took 6 to 9 ms on
 * average. In a timer interrupt no timer is armed, and the guest never woke up (2 of 2 runs). With
 * kvm-arm.wfi_trap_policy=notrap on the host's command line both return (1 of 1).
 *
 *   echo 'obj-m := wfit_sleep.o' >Makefile
 *   make -C TREE O=KERNEL M=$PWD ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- KBUILD_MODPOST_WARN=1 modules
 *   insmod wfit_sleep.ko; dmesg | grep wfit_sleep
 */
#define pr_fmt(fmt) "wfit_sleep: " fmt

#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/module.h>

#define DELAY_US 20
#define SHOTS 20

static struct hrtimer timer;
static u64 total, longest;
static int count;

static void delay(void)
{
	u64 start = ktime_get_ns(), took;

	udelay(DELAY_US);
	took = ktime_get_ns() - start;
	total += took;
	longest = max(longest, took);
	count++;
}

static void tell(const char *where)
{
	pr_info("udelay(%d) in %s: %d times, mean %llu us, longest %llu us\n", DELAY_US, where, count,
		count ? total / count / 1000 : 0, longest / 1000);
	total = longest = count = 0;
}

static enum hrtimer_restart fire(struct hrtimer *unused)
{
	delay();
	if (count == SHOTS)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(&timer, ms_to_ktime(50));
	return HRTIMER_RESTART;
}

static int __init wfit_sleep_init(void)
{
	while (count < 10 * SHOTS)
		delay();
	tell("a task");
	hrtimer_init(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	timer.function = fire;
	hrtimer_start(&timer, ms_to_ktime(50), HRTIMER_MODE_REL);
	msleep(100 * SHOTS);
	tell("a timer's interrupt");
	return 0;
}
module_init(wfit_sleep_init);

static void __exit wfit_sleep_exit(void)
{
	hrtimer_cancel(&timer);
}
module_exit(wfit_sleep_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Time udelay() in a guest of the test VM");
