using Microsoft.ML.Sorsa.Generation;

namespace Microsoft.ML.Sorsa.Tests.Generation;

[TestClass]
[TestCategory("Generation")]
public sealed class GenerationOptionsTests
{
    public static IEnumerable<object[]> OutOfRange =>
    [
        ["MaxNewTokens is 0; it must be at least 1.", () => new GenerationOptions { MaxNewTokens = 0 }],
        ["Temperature is -0.5; it must be a finite number, at least 0.", () => new GenerationOptions { Temperature = -0.5 }],
        ["Temperature is NaN; ", () => new GenerationOptions { Temperature = double.NaN }],
        ["TopP is 0; it must be above 0 and at most 1.", () => new GenerationOptions { TopP = 0 }],
        ["TopP is 1.5; ", () => new GenerationOptions { TopP = 1.5 }],
        ["TopK is -1; it must be at least 0.", () => new GenerationOptions { TopK = -1 }],
        ["RepetitionPenalty is 0; it must be a finite number above 0.", () => new GenerationOptions { RepetitionPenalty = 0 }],
        ["RepetitionPenalty is Infinity; ", () => new GenerationOptions { RepetitionPenalty = double.PositiveInfinity }],
        ["StopStrings is null or holds an empty text", () => new GenerationOptions { StopStrings = ["\n", ""] }],
        ["StopStrings is null or holds an empty text", () => new GenerationOptions { StopStrings = null! }],
        ["BatchSize is -3; it must be from 1 to 4096.", () => new GenerationOptions { BatchSize = -3 }],
    ];

    public static IEnumerable<object[]> NotTogether =>
    [
        ["TopK is 40 and Temperature is 0", "TopK", new GenerationOptions { TopK = 40 }],
        ["TopP is 0.9 and Temperature is 0", "TopP", new GenerationOptions { TopP = 0.9 }],
    ];

    [TestMethod]
    public void DefaultsAreGreedy()
    {
        GenerationOptions options = new();

        Assert.AreEqual(256, options.MaxNewTokens);
        Assert.AreEqual(0, options.Temperature);
        Assert.AreEqual(1, options.TopP);
        Assert.AreEqual(0, options.TopK);
        Assert.AreEqual(1, options.RepetitionPenalty);
        Assert.IsEmpty(options.StopStrings);
        Assert.AreEqual(8, options.BatchSize);
        Assert.AreEqual(0, options.Seed);
        options.Validate();
    }

    [TestMethod]
    [DynamicData(nameof(OutOfRange))]
    public void ValuesOutOfRangeAreRefused(string message, Func<GenerationOptions> create)
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => create());

        Assert.StartsWith(message, error.Message);
        Assert.AreEqual(message.Split(' ')[0], error.ParamName);
    }

    [TestMethod]
    [DynamicData(nameof(NotTogether))]
    public void SamplingOptionsNeedATemperature(string message, string name, GenerationOptions options)
    {
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(options.Validate);

        Assert.StartsWith(message, error.Message);
        Assert.AreEqual(name, error.ParamName);
        (options with { Temperature = 1 }).Validate();
    }
}
