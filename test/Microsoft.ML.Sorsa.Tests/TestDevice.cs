using Microsoft.ML;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>
/// Where the numeric tests compute: SORSA_TEST_DEVICE, cpu (the default), cuda or cuda:N. What they start from is made on the CPU, so that
/// seeds mean the same numbers, and moved; what comes out is compared on the CPU. A GPU that is not there is an error of every such test.
/// </summary>
internal static class TestDevice
{
    public const string Variable = "SORSA_TEST_DEVICE";

    private static readonly Lazy<Device> s_current = new(
        () => Open(Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named ? named : "cpu", Variable));

    public static Device Current => s_current.Value;

    /// <summary>
    /// What a float32 result may be off by. A limit is derived, or was measured, for the CPU's sums, which keep 8 to 16 partial sums for
    /// each entry. On a GPU each entry of a product is one running sum, rounded at every term: with n terms in m partial sums the error is
    /// of the order of √(n / m) roundings, so it grows by √16 at most. TF32, which would lose 13 of the 23 bits, is off.
    /// </summary>
    public static double Limit(double cpu) => Limit(cpu, Current);

    /// <inheritdoc cref="Limit(double)"/>
    public static double Limit(double cpu, Device device) => device.type == DeviceType.CPU ? cpu : 4 * cpu;

    /// <summary>
    /// Moves a tensor that was just made: it is the same one where it lies there already, and otherwise nothing of it is left. One that
    /// wants a gradient is a leaf there, too.
    /// </summary>
    public static Tensor OnDevice(this Tensor made)
    {
        if (Current.type == made.device_type)
        {
            return made;
        }

        using (made)
        {
            Tensor moved = made.detach().to(Current);
            return made.requires_grad ? moved.requires_grad_() : moved;
        }
    }

    /// <summary>A context whose models lie there.</summary>
    public static MLContext Context() => ContextOf(Current);

    /// <inheritdoc cref="Context"/>
    public static MLContext ContextOf(Device device) => device.type == DeviceType.CPU
        ? new MLContext()
        : new MLContext { GpuDeviceId = device.index, FallbackToCpu = false };

    /// <summary>The device of that name, with float32 as it is.</summary>
    /// <param name="name">cpu, cuda or cuda:N.</param>
    /// <param name="argument">What errors call it.</param>
    /// <exception cref="ArgumentException">It is no device's name, or is not there.</exception>
    public static Device Open(string name, string argument)
    {
        Device device = DeviceName.Parse(name, argument);
        if (device.type == DeviceType.CUDA)
        {
            InitializeDeviceType(DeviceType.CUDA);
            (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32) = (false, false);
        }

        return device;
    }
}
