namespace Microsoft.ML.Sorsa.Tests;

/// <summary>
/// A test of the category Slow, left out unless SORSA_SLOW_TESTS is 1: <c>dotnet test</c> is for the minutes between two edits, and
/// continuous integration sets it.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SlowTestAttribute : ConditionBaseAttribute
{
    public const string Variable = "SORSA_SLOW_TESTS", Category = "Slow";

    public SlowTestAttribute()
        : base(ConditionMode.Include) => IgnoreMessage = $"Slow; it runs where {Variable} is 1.";

    public override string GroupName => Category;

    public override bool IsConditionMet => Environment.GetEnvironmentVariable(Variable) == "1";
}
