using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>Wall time in milliseconds. What was given to a GPU is waited for first: the call comes back before its work is done.</summary>
internal sealed class DeviceClock(Device device)
{
    private readonly Stopwatch _clock = Stopwatch.StartNew();

    public double Now
    {
        get
        {
            if (device.type == DeviceType.CUDA)
            {
                cuda.synchronize();
            }

            return _clock.Elapsed.TotalMilliseconds;
        }
    }
}
